"""The portrait finder: decides whether a picture shows one usable face and where its landmarks are."""
