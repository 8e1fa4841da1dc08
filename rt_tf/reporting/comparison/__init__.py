"""Several runs side by side: their accuracies on the same images, as tables and as a page."""
