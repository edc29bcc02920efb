//! Letters of our own for text on a still picture: ASCII, drawn below as it is seen. Letters with accents lose them, what has no likeness here
//! becomes a box.

/// Pixels of a letter.
pub const WIDTH: usize = 5;
/// Seven rows above the line and one below.
pub const HEIGHT: usize = 8;

/// The letters of a text as we can draw them, each as its rows; the highest bit of five is the left pixel.
pub fn letters(text: &str) -> impl Iterator<Item = [u8; HEIGHT]> {
    let plain = text.chars().filter(|letter| !letter.is_control() && !is_mark(*letter)).flat_map(|letter| {
        let likeness = LIKENESSES.iter().find(|(from, _)| from.contains(letter)).map(|(_, to)| to.chars());
        let same = likeness.is_none().then_some(letter);
        likeness.into_iter().flatten().chain(same)
    });
    plain.map(glyph)
}

/// Accents and the like that stand behind their letter, and words to the renderer: nothing to see.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{fe00}'..='\u{fe0f}')
}

fn glyph(letter: char) -> [u8; HEIGHT] {
    if letter.is_whitespace() {
        return [0; HEIGHT];
    }
    let drawn = |(names, rows): &(&str, [&str; HEIGHT])| {
        let place = names.chars().position(|name| name == letter)? * (WIDTH + 1);
        Some(rows.map(|row| {
            row[place..place + WIDTH].bytes().fold(0, |bits, dot| bits << 1 | u8::from(dot == b'#'))
        }))
    };
    DRAWN.iter().find_map(drawn).unwrap_or(BOX)
}

/// For what we cannot draw.
const BOX: [u8; HEIGHT] = [0b11111, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11111, 0];

/// Letters that look alike.
const LIKENESSES: &[(&str, &str)] = &[
    ("ÀÁÂÃÄÅĀĂĄ", "A"),
    ("àáâãäåāăą", "a"),
    ("ÇĆĈĊČ", "C"),
    ("çćĉċč", "c"),
    ("ÐĎĐ", "D"),
    ("ðďđ", "d"),
    ("ÈÉÊËĒĔĖĘĚ", "E"),
    ("èéêëēĕėęě", "e"),
    ("ĜĞĠĢ", "G"),
    ("ĝğġģ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ÌÍÎÏĨĪĬĮİ", "I"),
    ("ìíîïĩīĭįı", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ÑŃŅŇ", "N"),
    ("ñńņň", "n"),
    ("ÒÓÔÕÖØŌŎŐ", "O"),
    ("òóôõöøōŏő", "o"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞŠȘ", "S"),
    ("śŝşšș", "s"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("ÙÚÛÜŨŪŬŮŰŲ", "U"),
    ("ùúûüũūŭůűų", "u"),
    ("Ŵ", "W"),
    ("ŵ", "w"),
    ("ÝŶŸ", "Y"),
    ("ýŷÿ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("Æ", "AE"),
    ("æ", "ae"),
    ("Œ", "OE"),
    ("œ", "oe"),
    ("ß", "ss"),
    ("ẞ", "SS"),
    ("Þ", "Th"),
    ("þ", "th"),
    ("\u{2018}\u{2019}\u{201a}´", "'"),
    ("\u{201c}\u{201d}\u{201e}«»", "\""),
    ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}", "-"),
    ("…", "..."),
    ("·•", "*"),
    ("×", "x"),
    ("€", "EUR"),
];

/// Names of letters, and the rows in which they stand side by side, a column between them.
const DRAWN: &[(&str, [&str; HEIGHT])] = &[
    (
        "ABCDEFGHIJKLM",
        [
            " ###  ####   ###  ####  ##### #####  ###  #   #  ###    ### #   # #     #   #",
            "#   # #   # #   # #   # #     #     #   # #   #   #      #  #  #  #     ## ##",
            "#   # #   # #     #   # #     #     #     #   #   #      #  # #   #     # # #",
            "##### ####  #     #   # ####  ####  # ### #####   #      #  ##    #     # # #",
            "#   # #   # #     #   # #     #     #   # #   #   #      #  # #   #     #   #",
            "#   # #   # #   # #   # #     #     #   # #   #   #   #  #  #  #  #     #   #",
            "#   # ####   ###  ####  ##### #      #### #   #  ###   ##   #   # ##### #   #",
            "                                                                             ",
        ],
    ),
    (
        "NOPQRSTUVWXYZ",
        [
            "#   #  ###  ####   ###  ####   #### ##### #   # #   # #   # #   # #   # #####",
            "#   # #   # #   # #   # #   # #       #   #   # #   # #   # #   # #   #     #",
            "##  # #   # #   # #   # #   # #       #   #   # #   # #   #  # #   # #     # ",
            "# # # #   # ####  #   # ####   ###    #   #   # #   # # # #   #     #     #  ",
            "#  ## #   # #     # # # # #       #   #   #   # #   # # # #  # #    #    #   ",
            "#   # #   # #     #  #  #  #      #   #   #   #  # #  ## ## #   #   #   #    ",
            "#   #  ###  #      ## # #   # ####    #    ###    #   #   # #   #   #   #####",
            "                                                                             ",
        ],
    ),
    (
        "abcdefghijklm",
        [
            "      #               #         ##        #       #      #  #      ##        ",
            "      #               #        #          #                 #       #        ",
            " ###  # ##   ###   ## #  ###  ####   #### # ##   ##     ##  #  #    #   ## # ",
            "    # ##  # #     #  ## #   #  #    #   # ##  #   #      #  # #     #   # # #",
            " #### #   # #     #   # #####  #    #   # #   #   #      #  ##      #   # # #",
            "#   # #   # #     #   # #      #     #### #   #   #      #  # #     #   # # #",
            " #### ####   ###   ####  ###   #        # #   #  ###  #  #  #  #   ###  # # #",
            "                                     ###               ##                    ",
        ],
    ),
    (
        "nopqrstuvwxyz",
        [
            "                                     #                                       ",
            "                                     #                                       ",
            "# ##   ###  ####   #### # ##   #### ####  #   # #   # #   # #   # #   # #####",
            "##  # #   # #   # #   # ##  # #      #    #   # #   # #   #  # #  #   #    # ",
            "#   # #   # #   # #   # #      ###   #    #   # #   # # # #   #   #   #   #  ",
            "#   # #   # ####   #### #         #  #    #  ##  # #  # # #  # #   ####  #   ",
            "#   #  ###  #         # #     ####    ##   ## #   #    # #  #   #     # #####",
            "            #         #                                            ###       ",
        ],
    ),
    (
        "0123456789",
        [
            " ###    #    ###   ###     #  #####  ###  #####  ###   ### ",
            "#   #  ##   #   # #   #   ##  #     #         # #   # #   #",
            "#  ##   #       #     #  # #  ####  #        #  #   # #   #",
            "# # #   #      #    ##  #  #      # ####    #    ###   ####",
            "##  #   #     #       # #####     # #   #   #   #   #     #",
            "#   #   #    #    #   #    #  #   # #   #   #   #   #     #",
            " ###   ###  #####  ###     #   ###   ###    #    ###   ### ",
            "                                                           ",
        ],
    ),
    (
        ".,:;!?'\"`-_+*",
        [
            "                          #    ###    #    # #   #                           ",
            "                          #   #   #   #    # #    #                 #   # # #",
            "              #     #     #       #   #    # #                      #    ### ",
            "                          #      #                    #####       ##### #####",
            "                          #     #                                   #    ### ",
            "        #                                                           #   # # #",
            "  #     #     #     #     #     #                                            ",
            "       #           #                                        #####            ",
        ],
    ),
    (
        "/\\|()[]{}<>=",
        [
            "    # #       #      #   #     ###   ###     ## ##       #   #         ",
            "    # #       #     #     #    #       #    #     #     #     #        ",
            "   #   #      #    #       #   #       #    #     #    #       #  #####",
            "  #     #     #    #       #   #       #   #       #  #         #      ",
            " #       #    #    #       #   #       #    #     #    #       #  #####",
            "#         #   #     #     #    #       #    #     #     #     #        ",
            "#         #   #      #   #     ###   ###     ## ##       #   #         ",
            "              #                                                        ",
        ],
    ),
    (
        "#%&@$^~",
        [
            " # #  ##  #  ##    ###    #     #        ",
            " # #  ##  # #  #  #   #  ####  # #       ",
            "#####    #  # #   # ### # #   #   #  #   ",
            " # #    #    #    # # #  ###        # # #",
            "#####  #    # # # # ##    # #          # ",
            " # #  #  ## #  #  #     ####             ",
            " # #  #  ##  ## #  ####   #              ",
            "                                         ",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> Vec<[u8; HEIGHT]> {
        letters(text).collect()
    }

    #[test]
    fn every_letter_of_ascii_is_drawn_and_no_two_are_the_same() {
        let all: String = ('!'..='~').collect();
        let mut seen = drawn(&all);
        assert_eq!(seen.len(), 94);
        assert!(!seen.contains(&BOX));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 94);
        for (names, rows) in DRAWN {
            let columns = names.chars().count() * (WIDTH + 1) - 1;
            assert!(rows.iter().all(|row| row.len() == columns), "{names}");
        }
    }

    #[test]
    fn a_letter_is_the_right_way_up_and_round() {
        assert_eq!(drawn("L"), [[16, 16, 16, 16, 16, 16, 31, 0]]);
    }

    #[test]
    fn what_has_a_likeness_is_drawn_as_that_and_the_rest_as_a_box() {
        let check = |text: &str, like: &str| assert_eq!(drawn(text), drawn(like), "{text}");
        check("Žofie Müllerová", "Zofie Mullerova");
        check("Zoe\u{308}", "Zoe");
        check("Straße – „Æsir“…", "Strasse - \"AEsir\"...");
        check("a\u{200f}b\u{7}c\td", "abcd");
        assert_eq!(drawn("张三"), [BOX, BOX]);
        assert_eq!(drawn("a b")[1], [0; HEIGHT]);
    }
}
