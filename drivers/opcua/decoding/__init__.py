"""From the bytes of a PublishResponse or a HistoryRead to readings: fast for what is common, asyncua's decoder for the rest."""
