"""Networks that this project trains: a LeNet, and one more class of fooling images."""
