module slipstream.dev/node-helper

go 1.23
