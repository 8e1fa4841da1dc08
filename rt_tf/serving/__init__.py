"""SavedModels that certify what they predict: their endpoints, files and parity."""
