"""Where files lie, here or on S3, behind one kind of path; a local cache; failures that are no clip's."""
