"""Lists of clips, in every layout found beside the corpora: the clips they name, their labels and their sides."""
