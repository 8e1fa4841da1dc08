"""What is known of each example, in files: written as it comes, merged, checked for consistency."""
