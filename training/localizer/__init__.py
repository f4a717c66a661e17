"""A trained localizer as an object: `Localizer.load(folder)`, a video or an image with a sound in, maps out."""
