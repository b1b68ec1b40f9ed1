"""People and systems whom the city's identity provider vouches for, by OpenID Connect."""
