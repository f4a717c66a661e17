"""The page that visitors drop videos on: its server, its worker process, who may come in and how much."""
