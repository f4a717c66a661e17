"""The processes of one run: how they are started, meet, wait for one another and end together."""
