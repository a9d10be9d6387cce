"""`maskmill tune`: many trainings with other settings, each judged on the validation split alone."""
