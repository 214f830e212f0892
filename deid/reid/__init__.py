"""Re-identification: embedding images, comparing them, measuring what an attacker gets."""
