"""What happens where the gate has decided: webhook, MQTT, a relay. None of it can delay or change a decision."""
