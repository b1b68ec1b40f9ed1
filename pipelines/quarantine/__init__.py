"""Rows set aside, from the moment they are to the moment they leave."""
