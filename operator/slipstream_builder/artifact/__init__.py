"""The artifact folder and the store it is published in."""
