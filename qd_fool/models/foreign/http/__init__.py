"""A network behind an address: pictures are posted, and numbers come back."""
