module slipstream.dev/probe

go 1.23
