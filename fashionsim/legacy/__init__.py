"""The paths and shapes of the service that this one replaces, for the front end made for it.

It only translates: what is asked goes to the same services as everything else, and what they
answer is put into the old words. docs/legacy-api.md has the table, and what is different.
"""
