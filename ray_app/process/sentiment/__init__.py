"""What a text says about the market, as a number: three models behind one way in, `SentimentModel.score`."""
