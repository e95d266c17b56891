"""What runs inside the project's interpreter; this folder holds nothing else on purpose."""
