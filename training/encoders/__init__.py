"""The convolutional trunks every method stands on: pictures to feature maps, spectrograms to vectors."""
