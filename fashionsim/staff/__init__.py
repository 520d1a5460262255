"""What merchandisers and staff have in the admin, beyond the lists and forms of each table."""
