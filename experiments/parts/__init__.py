"""What experiments are made of: theory, measurements and pictures, one question's in files of its name."""
