"""The report: one static HTML page of scores, learning curves and a gallery, from result files only.

`results` reads run folders, `tables`, `curves` and `gallery` turn them into what the page shows, `page` writes it.
Everything is embedded in the file: it opens offline, on any machine, and needs no JavaScript.
"""
