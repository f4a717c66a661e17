"""The convolutional trunks every method stands on: images to feature maps, spectrograms to vectors."""
