"""A reader for each format that truth comes in, found by its module name: `FORMATS` says what it is called."""
