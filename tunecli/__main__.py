from tunecli.cli import main

main()
