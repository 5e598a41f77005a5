"""Reddit: the token route of www.reddit.com and the API of oauth.reddit.com."""
