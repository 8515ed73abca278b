"""Sensors: what is done when the outside world changes."""
