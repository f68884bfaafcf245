"""What a user pays in waiting and in dollars, as ratios against a floor of the same run: ``make bench``."""
