"""Who is metered: external id → dense index → tariff, region, contracted power, by date."""
