"""What runs when: the only package that imports DVC and Prefect."""
