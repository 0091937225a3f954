"""Rebuild a damaged segment: carve what its pages and its log still prove, declare what is lost."""
