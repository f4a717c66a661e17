"""The composed corpus: scenes of real images and recordings, whose truth is known because we put them there."""
