"""What people and other programs see of a running gateway: status in words, page, metrics, control socket."""
