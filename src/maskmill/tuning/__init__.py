"""`maskmill tune`: many trainings with other settings, judged on the validation split alone."""
