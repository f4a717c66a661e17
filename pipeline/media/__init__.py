"""Bytes to an image and audio at a moment, exact in time, of whatever container, codec and damage."""
