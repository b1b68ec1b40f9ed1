"""The exchange's door for programs: FastAPI over `exchange`. `app` puts it together; everything else is a router."""
