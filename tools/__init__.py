"""Programs for whoever works on fastloss; `make` calls them."""
