"""What lies in the sources: folders, tars and lists walked, images matched with sounds, labels found."""
