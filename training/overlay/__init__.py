"""Heat maps, boxes and bars over images and videos: how they are drawn, and the video that is written."""
