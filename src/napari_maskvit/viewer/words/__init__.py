"""What is said to a person, and how."""
