"""`python -m service.cli` is `edit-jobs`."""

from service.cli import main

# The API's processes import this module again when there are several.
if __name__ == "__main__":
    main()
