"""Schedules: what is done again by the calendar."""
