"""`training localize`: a model over many videos in one process, each with an overlay and a document of its peaks."""
