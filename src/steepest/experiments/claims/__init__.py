"""The paper's statements as computed checks, each with a verdict."""
