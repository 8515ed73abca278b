"""Text made regular, and freed of what others wrote."""
