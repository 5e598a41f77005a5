"""Made-up stories and posts: one stream behind the feeds, the Guardian, Reddit, X and EDGAR."""
