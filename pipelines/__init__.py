"""What runs when: the only package that knows DVC."""
