"""Runs the published code of public models at small sizes and writes its results, with which the TypeScript tests compare theirs."""
